package cfapi

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
)

// Record is a DNS record. The API does not say to which zone it belongs: the caller knows, because it has asked for
// the zone.
type Record struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	Content    string     `json:"content"`
	Proxiable  bool       `json:"proxiable"`
	Proxied    bool       `json:"proxied"`
	TTL        int        `json:"ttl"` // seconds; 1 is automatic
	Priority   *int       `json:"priority"`
	Comment    *string    `json:"comment"`
	Tags       []string   `json:"tags"`
	ModifiedOn *time.Time `json:"modified_on"`
}

// Fields are the fields of a record that a call sets, by their names in the API. What is not in Fields stays as it is.
type Fields map[string]any

// recordPath returns the path of a record, or of the list with the id "".
func recordPath(zone, id string) (string, error) {
	if !isID(zone) {
		return "", fault.WithClass(fault.ClassPermanent, fmt.Errorf("%.40q is not the identifier of a zone", zone))
	}
	if id == "" {
		return "/zones/" + zone + "/dns_records", nil
	}
	return "/zones/" + zone + "/dns_records/" + url.PathEscape(id), nil
}

// Records lists the records of a zone page by page. from is "", or the Next of an earlier page.
func (c *Client) Records(ctx context.Context, zone, from string) iter.Seq2[remote.Page[Record], error] {
	path, err := recordPath(zone, "")
	if err != nil {
		return func(yield func(remote.Page[Record], error) bool) { yield(remote.Page[Record]{}, err) }
	}
	return list[Record](ctx, c, path, url.Values{"per_page": {strconv.Itoa(c.pageSize)}, "order": {"name"}}, from)
}

// Record returns one record. The error has the class gone if there is none.
func (c *Client) Record(ctx context.Context, zone, id string) (r Record, err error) {
	return c.one(ctx, http.MethodGet, zone, id, nil)
}

// FindRecord returns the record with exactly this type, name and content. The error has the class gone if there is none.
func (c *Client) FindRecord(ctx context.Context, zone, kind, name, content string) (r Record, err error) {
	path, err := recordPath(zone, "")
	if err != nil {
		return r, err
	}
	query := url.Values{"type": {kind}, "name.exact": {name}, "content.exact": {content}, "match": {"all"}, "per_page": {"100"}}
	answer, err := call[[]Record](ctx, c, request{method: http.MethodGet, path: path, query: query, object: nameless(path, kind, name, content)})
	if err != nil {
		return r, err
	}
	for _, found := range answer.Result {
		if found.Type == kind && found.Name == name && found.Content == content {
			return found, nil
		}
	}
	return r, fault.WithClass(fault.ClassGone, fmt.Errorf("cloudflare has no %s record %s with this content", kind, name))
}

// CreateRecord creates a record and returns it as it is stored.
func (c *Client) CreateRecord(ctx context.Context, zone string, fields Fields) (Record, error) {
	return c.one(ctx, http.MethodPost, zone, "", fields)
}

// EditRecord changes the fields of a record, and no others, and returns the record as it is stored.
func (c *Client) EditRecord(ctx context.Context, zone, id string, fields Fields) (Record, error) {
	return c.one(ctx, http.MethodPatch, zone, id, fields)
}

// DeleteRecord deletes a record. The error has the class gone if there is none.
func (c *Client) DeleteRecord(ctx context.Context, zone, id string) error {
	path, err := recordPath(zone, id)
	if err == nil {
		_, err = call[json.RawMessage](ctx, c, request{method: http.MethodDelete, path: path})
	}
	return err
}

// nameless names a record that has no identifier yet, for the breaker.
func nameless(path string, kind, name, content any) string {
	return fmt.Sprintln(path, kind, name, content)
}

// one makes a call whose result is one record.
func (c *Client) one(ctx context.Context, method, zone, id string, fields Fields) (r Record, err error) {
	path, err := recordPath(zone, id)
	if err != nil {
		return r, err
	}
	send := request{method: method, path: path}
	if fields != nil {
		send.body = fields
	}
	if id == "" { // the path is that of all records of the zone
		send.object = nameless(path, fields["type"], fields["name"], fields["content"])
	}
	answer, err := call[Record](ctx, c, send)
	if err != nil {
		return r, err
	}
	return answer.Result, nil
}
