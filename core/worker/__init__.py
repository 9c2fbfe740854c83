"""What needs torch, and runs in worker processes. The engine calls core.worker.process."""
