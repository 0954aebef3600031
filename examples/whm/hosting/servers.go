package hosting

import (
	"fmt"

	"github.com/nawasara/nawasync/examples/whm/whmapi"
	"github.com/nawasara/nawasync/fault"
)

// Servers maps the name of each WHM server to its client. The name is the instance of the server's
// rows and jobs.
type Servers map[string]*whmapi.Client

func (s Servers) client(instance string) (*whmapi.Client, error) {
	if client := s[instance]; client != nil {
		return client, nil
	}
	return nil, fault.WithClass(fault.ClassConfig, fmt.Errorf("no WHM server with the name %q is configured; add it to -whm-url", instance))
}
