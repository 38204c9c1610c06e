"""What we measure of parrotfish: runs the product from outside; the product never imports it."""
