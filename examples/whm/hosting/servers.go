package hosting

import (
	"fmt"

	"github.com/nawasara/nawasync/examples/whm/whmapi"
	"github.com/nawasara/nawasync/fault"
)

// Servers are the WHM servers by the names that rows and jobs know them by.
type Servers map[string]*whmapi.Client

func (s Servers) client(instance string) (*whmapi.Client, error) {
	if client := s[instance]; client != nil {
		return client, nil
	}
	return nil, fault.WithClass(fault.ClassConfig, fmt.Errorf("no WHM server is configured under the name %q", instance))
}
