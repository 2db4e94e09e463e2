"""The tests are tested: deliberate defects, listed and generated, that the layers of tests must catch."""
