"""What others ask the site about itself: is it alive, is it ready, how does it feel, in numbers."""
