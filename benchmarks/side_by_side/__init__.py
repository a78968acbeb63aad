"""tarazu and its peers on the same work, one after the other: works, peers, pairs, table."""
