"""The commands: `venom-engine` serves, `venom` speaks to an engine from scripts. stdout is data, stderr is talk."""
