"""The screens of errors, patterns and chains, and the figures of all charts."""
