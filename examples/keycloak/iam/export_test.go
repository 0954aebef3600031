package iam

// Configs is configs.
var Configs = configs
