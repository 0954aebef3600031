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

// Page is one page of a list.
type Page[T any] struct {
	Items  []T
	Number int  // of the page, from 1
	Total  *int // elements of the whole list, as the server counts them; nil if its answer has no count
	Last   bool
}

// zonePageSize is the most that the API lists at once.
const zonePageSize = 50

// Zones lists the zones that the token may see, page by page, beginning with a page from 1.
func (c *Client) Zones(ctx context.Context, from int) iter.Seq2[Page[Zone], error] {
	return pages[Zone](ctx, c, "/zones", url.Values{"per_page": {strconv.Itoa(zonePageSize)}, "order": {"name"}}, from)
}

// Zone returns one zone. The error has the class gone if there is none.
func (c *Client) Zone(ctx context.Context, id string) (z Zone, err error) {
	if !isID(id) {
		return z, fault.WithClass(fault.ClassPermanent, fmt.Errorf("%.40q is not the identifier of a zone", id))
	}
	_, err = c.call(ctx, http.MethodGet, "/zones/"+id, nil, nil, &z)
	if refused := fault.Outermost(err); refused != nil && refused.Class == fault.ClassConfig && strings.Contains(err.Error(), "7003") {
		// The path is one of the API's, so it is the zone that does not exist.
		return z, fault.WithClass(fault.ClassGone, err)
	}
	return z, err
}

// isID reports whether a text is an identifier as Cloudflare gives them out. Anything else would change the path.
func isID(id string) bool { return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" }

// pages walks the pages of a list to the one that the server calls the last. A page without a count is the last
// if it is empty.
func pages[T any](ctx context.Context, c *Client, path string, query url.Values, from int) iter.Seq2[Page[T], error] {
	return func(yield func(Page[T], error) bool) {
		for number := max(1, from); ; number++ {
			query.Set("page", strconv.Itoa(number))
			page := Page[T]{Number: number}
			answer, err := c.call(ctx, http.MethodGet, path, query, nil, &page.Items)
			switch {
			case err != nil:
			case answer.Info == nil || answer.Info.TotalPages == nil:
				page.Last = len(page.Items) == 0
			case answer.Info.Page != 0 && answer.Info.Page != number:
				err = fault.WithClass(fault.ClassTransient, errors.New("cloudflare "+path+": the answer has another page than the one that was asked for"))
			default:
				page.Total, page.Last = answer.Info.TotalCount, number >= *answer.Info.TotalPages
			}
			if !yield(page, err) || err != nil || page.Last {
				return
			}
		}
	}
}
