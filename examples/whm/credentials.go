package main

import (
	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/internal/setup"
)

// credentials returns what this process sends to the database, to Redis and to the WHM servers. The tokens of
// the simulated servers change with each start.
func (s settings) credentials() []nawasync.Secret {
	list := s.Secrets()
	configs, err := s.servers()
	if err != nil {
		return list // connectServers returns the error
	}
	for _, c := range configs {
		list = setup.AddSecret(list, c.token, s.whmUser)
	}
	return list
}
