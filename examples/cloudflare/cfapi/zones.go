package cfapi

import (
	"context"
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

// Zones lists the zones of an account that the token may see, page by page. from is "", or the Next of an earlier page.
// An account that does not exist has no zones: Account tells whether it does.
func (c *Client) Zones(ctx context.Context, account, from string) iter.Seq2[remote.Page[Zone], error] {
	return list[Zone](ctx, c, "/zones", url.Values{"account.id": {account}, "per_page": {strconv.Itoa(zonePageSize)}, "order": {"name"}}, from)
}

// Zone returns one zone. The error has the class gone if there is none.
func (c *Client) Zone(ctx context.Context, id string) (z Zone, err error) {
	return object[Zone](ctx, c, "a zone", "/zones/", id)
}

// isID reports whether a text is an identifier as Cloudflare gives them out. Anything else would change the path.
func isID(id string) bool { return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" }

// list yields the pages of a list.
func list[T any](ctx context.Context, c *Client, path string, query url.Values, from string) iter.Seq2[remote.Page[T], error] {
	return remote.PagesByNumber(from, func(number int) (page remote.Page[T], err error) {
		query.Set("page", strconv.Itoa(number))
		answer, err := call[[]T](ctx, c, request{method: http.MethodGet, path: path, query: query})
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
