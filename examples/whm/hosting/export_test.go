package hosting

// Configs is configs.
var Configs = configs
