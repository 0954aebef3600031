package pdnsapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
)

// Set is a record set: all records of one name and type.
type Set struct {
	Name    string   `json:"name"` // with a dot at its end
	Type    string   `json:"type"`
	TTL     int64    `json:"ttl"` // seconds
	Records []Record `json:"records"`
}

// Record is a record of a set.
type Record struct {
	Content  string `json:"content"`
	Disabled bool   `json:"disabled"` // kept, and not served
}

// change is one change of a PATCH.
type change struct {
	Set

	ChangeType string `json:"changetype"`
}

// Sets lists the record sets of a zone, without the SOA, which PowerDNS rewrites with each change.
func (c *Client) Sets(ctx context.Context, zone string) iter.Seq2[remote.Page[Set], error] {
	return onePage(func() ([]Set, error) {
		list, err := c.sets(ctx, zone, nil)
		return slices.DeleteFunc(list, func(s Set) bool { return s.Type == "SOA" }), err
	})
}

func (c *Client) sets(ctx context.Context, zone string, query url.Values) ([]Set, error) {
	var answer struct {
		Sets *[]Set `json:"rrsets"`
	}
	if err := c.call(ctx, c.request(http.MethodGet, query, nil, "zones", zoneID(zone)), &answer); err != nil {
		return nil, err
	}
	if answer.Sets == nil {
		return nil, fault.WithClass(fault.ClassTransient, errors.New("powerdns: the answer has no record sets"))
	}
	return *answer.Sets, nil
}

// Set returns a record set with its disabled records. The error has the class gone if there is none.
func (c *Client) Set(ctx context.Context, zone, name, kind string) (Set, error) {
	sets, err := c.sets(ctx, zone, url.Values{"rrset_name": {name}, "rrset_type": {kind}})
	if err != nil {
		return Set{}, err
	}
	// Before version 5, the filter leaves out disabled records (pdns issue 11473). A write without them would delete them.
	disabled, complete, err := c.search(ctx, zone, name, kind)
	if err == nil && !complete {
		sets, err = c.sets(ctx, zone, nil)
	}
	if err != nil {
		return Set{}, err
	}
	found := Set{Name: name, Type: kind}
	for _, set := range append(sets, disabled) {
		if !strings.EqualFold(set.Name, name) || set.Type != kind {
			continue
		}
		for _, record := range set.Records {
			if !slices.Contains(found.Records, record) {
				found.TTL, found.Records = set.TTL, append(found.Records, record)
			}
		}
	}
	if len(found.Records) == 0 {
		return found, fault.WithClass(fault.ClassGone, fmt.Errorf("powerdns has no record set %s %s", name, kind))
	}
	return found, nil
}

// searchLimit is how many records a search returns at most.
const searchLimit = 1000

// search returns the disabled records of a set. It is not complete if other records have left no place for them.
func (c *Client) search(ctx context.Context, zone, name, kind string) (set Set, complete bool, err error) {
	if strings.ContainsAny(name, "*?") { // the search takes them for any characters
		return set, false, nil
	}
	var found []struct {
		Set
		Record

		Zone string `json:"zone"`
	}
	query := url.Values{"q": {strings.TrimSuffix(name, ".")}, "object_type": {"record"}, "max": {strconv.Itoa(searchLimit)}}
	if err := c.call(ctx, c.request(http.MethodGet, query, nil, "search-data"), &found); err != nil {
		return set, false, err
	}
	set.Name, set.Type = name, kind
	for _, f := range found {
		if f.Disabled && strings.EqualFold(f.Name, name) && f.Type == kind && strings.EqualFold(f.Zone, zone) {
			set.TTL, set.Records = f.TTL, append(set.Records, f.Record)
		}
	}
	return set, len(found) < searchLimit, nil
}

// ReplaceSet gives a record set these records and this TTL, also if it does not exist. Its comments stay.
func (c *Client) ReplaceSet(ctx context.Context, zone string, set Set) error {
	return c.ReplaceSets(ctx, zone, set)
}

// ReplaceSets is ReplaceSet for several sets: if one is refused, none is replaced.
func (c *Client) ReplaceSets(ctx context.Context, zone string, sets ...Set) error {
	var changes []change
	for _, set := range sets {
		changes = append(changes, change{set, "REPLACE"})
	}
	return c.patch(ctx, zone, changes)
}

// DeleteSet deletes a record set. That there is none is no error.
func (c *Client) DeleteSet(ctx context.Context, zone, name, kind string) error {
	return c.patch(ctx, zone, []change{{Set{Name: name, Type: kind, Records: []Record{}}, "DELETE"}})
}

func (c *Client) patch(ctx context.Context, zone string, changes []change) error {
	call := c.request(http.MethodPatch, nil, map[string]any{"rrsets": changes}, "zones", zoneID(zone))
	call.Object = zone + " " + changes[0].Name + " " + changes[0].Type
	return c.call(ctx, call, nil)
}
