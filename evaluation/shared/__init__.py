"""What all audits share: run folders, records, frames, images, statistics."""
