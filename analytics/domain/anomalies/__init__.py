"""What stands out in a series: an expectation with a band, a novelty score, and how unusual it is."""
