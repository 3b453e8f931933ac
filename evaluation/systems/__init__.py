"""What audits put side by side: indexes, perceptual hashes, and how they are attacked."""
