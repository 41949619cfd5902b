"""The writers that come with the plugin, each an entry point of the group `jobrunner_content.writers`."""
