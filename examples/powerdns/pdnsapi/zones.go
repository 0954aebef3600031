package pdnsapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
)

// Zone is a zone without its record sets.
type Zone struct {
	Name         string `json:"name"` // with a dot at its end
	Kind         string `json:"kind"` // Native, Master or Slave
	Account      string `json:"account"`
	DNSSEC       bool   `json:"dnssec"`
	EditedSerial int64  `json:"edited_serial"`
}

// zoneID returns the identifier of a zone: its name, with a dot at its end and other characters than letters, digits, dots
// and hyphens as = and two digits.
func zoneID(name string) string {
	var id strings.Builder
	for _, b := range []byte(strings.ToLower(name)) {
		if b == '.' || b == '-' || b >= 'a' && b <= 'z' || b >= '0' && b <= '9' {
			id.WriteByte(b)
		} else {
			fmt.Fprintf(&id, "=%02X", b)
		}
	}
	return strings.TrimSuffix(id.String(), ".") + "."
}

// Zones lists all zones.
func (c *Client) Zones(ctx context.Context) iter.Seq2[remote.Page[Zone], error] {
	return onePage(func() (list []Zone, err error) {
		err = c.call(ctx, c.request(http.MethodGet, nil, nil, "zones"), &list)
		return list, err
	})
}

// Zone returns one zone. The error has the class gone if there is none.
func (c *Client) Zone(ctx context.Context, name string) (z Zone, err error) {
	err = c.call(ctx, c.request(http.MethodGet, url.Values{"rrsets": {"false"}}, nil, "zones", zoneID(name)), &z)
	if err == nil && z.Name == "" {
		return z, fault.WithClass(fault.ClassTransient, errors.New("powerdns: the answer is not a zone"))
	}
	return z, err
}

// CreateZone creates a zone with the given fields, by their names in the API, and returns it.
func (c *Client) CreateZone(ctx context.Context, fields map[string]any) (z Zone, err error) {
	err = c.call(ctx, c.request(http.MethodPost, url.Values{"rrsets": {"false"}}, fields, "zones"), &z)
	if err == nil && z.Name == "" {
		return z, fault.WithClass(fault.ClassUnknownOutcome, errors.New("powerdns: the answer is not a zone"))
	}
	return z, err
}

// EditZone changes the given fields of a zone, and no others.
func (c *Client) EditZone(ctx context.Context, name string, fields map[string]any) error {
	return c.call(ctx, c.request(http.MethodPut, nil, fields, "zones", zoneID(name)), nil)
}

// DeleteZone deletes a zone with its record sets. The error has the class gone if there is none.
func (c *Client) DeleteZone(ctx context.Context, name string) error {
	return c.call(ctx, c.request(http.MethodDelete, nil, nil, "zones", zoneID(name)), nil)
}
