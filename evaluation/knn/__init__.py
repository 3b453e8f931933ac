"""``retr bench-knn``: labelled images, classified by their nearest neighbours."""
