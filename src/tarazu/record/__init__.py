"""What is asked for (specs), what came out (records), and where both are kept."""
