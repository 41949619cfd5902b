"""The platforms that come with the plugin, each found through its entry point."""
