"""Attribution methods: which parts of one input made the network answer as it did. One file is one method."""
