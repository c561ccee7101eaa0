"""The screens and dialogs; each names its keys and leaves the doing to the app."""
