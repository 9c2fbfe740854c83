"""What is on the screen: the frame, the menu, and a folder for each section of it."""
