package dns

// Configs is configs.
var Configs = configs
