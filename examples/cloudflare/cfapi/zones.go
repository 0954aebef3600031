package cfapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/remote"
)

// Zone is a domain.
type Zone struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Status      string   `json:"status"` // active, pending, initializing or moved
	Paused      bool     `json:"paused"`
	NameServers []string `json:"name_servers"`
	Account     Account  `json:"account"`
	Plan        struct {
		Name string `json:"name"`
	} `json:"plan"`
}

// zonePageSize is the most that the API lists at once.
const zonePageSize = 50

// Zones lists the zones that the token may see, page by page. from is "", or the Next of an earlier page.
func (c *Client) Zones(ctx context.Context, from string) iter.Seq2[remote.Page[Zone], error] {
	return list[Zone](ctx, c, "/zones", url.Values{"per_page": {strconv.Itoa(zonePageSize)}, "order": {"name"}}, from)
}

// Zone returns one zone. The error has the class gone if there is none.
func (c *Client) Zone(ctx context.Context, id string) (z Zone, err error) {
	if !isID(id) {
		return z, fault.WithClass(fault.ClassPermanent, fmt.Errorf("%.40q is not the identifier of a zone", id))
	}
	answer, err := call[Zone](ctx, c, http.MethodGet, "/zones/"+id, nil, nil)
	if refused, ok := errors.AsType[apiErrors](err); ok && refused.has(7003) {
		// The path is one of the API's, so it is the zone that does not exist.
		return z, fault.WithClass(fault.ClassGone, err)
	}
	if err != nil {
		return z, err
	}
	return answer.Result, nil
}

// isID reports whether a text is an identifier as Cloudflare gives them out. Anything else would change the path.
func isID(id string) bool { return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" }

// list yields the pages of a list.
func list[T any](ctx context.Context, c *Client, path string, query url.Values, from string) iter.Seq2[remote.Page[T], error] {
	return remote.PagesByNumber(from, func(number int) (page remote.Page[T], err error) {
		query.Set("page", strconv.Itoa(number))
		answer, err := call[[]T](ctx, c, http.MethodGet, path, query, nil)
		if err != nil {
			return page, err
		}
		page.Items = answer.Result
		if answer.Info == nil {
			return page, nil
		}
		if answer.Info.Page != 0 && answer.Info.Page != number {
			return page, fault.WithClass(fault.ClassTransient, fmt.Errorf("cloudflare %s: the answer is page %d, not page %d", path, answer.Info.Page, number))
		}
		page.Total = answer.Info.TotalCount
		if answer.Info.TotalPages != nil {
			page.Pages = *answer.Info.TotalPages
		}
		return page, nil
	})
}
