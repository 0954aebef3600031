package mirror_test

import (
	"errors"
	"iter"
	"strconv"
	"testing"

	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/remote"
)

func TestPagesOfAnAPIBecomePagesOfASync(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	list := remote.PagesByNumber("", func(number int) (remote.Page[int], error) {
		if number == 3 {
			return remote.Page[int]{}, broken
		}
		return remote.Page[int]{Items: []int{number}, Total: new(int64(5)), Pages: 3}, nil
	})
	read := func(pages iter.Seq2[mirror.Page[contact], error]) (emails, cursors []string, last error) {
		for page, err := range pages {
			if last = err; err != nil {
				break
			}
			if page.Proof != (mirror.Proof{Level: mirror.ProofCounted, Total: 5}) || len(page.Items) != 1 {
				t.Errorf("page %+v, want one row and the server's total", page)
			}
			emails, cursors = append(emails, page.Items[0].Email), append(cursors, page.Cursor)
		}
		return emails, cursors, last
	}
	convert := func(n int) contact { return contact{Email: strconv.Itoa(n)} }
	emails, cursors, err := read(mirror.Pages(list, mirror.ProofCounted, true, convert))
	if len(emails) != 2 || emails[1] != "2" || cursors[0] != "2" || cursors[1] != "3" || !errors.Is(err, broken) {
		t.Errorf("rows %v, cursors %v, error %v", emails, cursors, err)
	}
	if _, cursors, _ = read(mirror.Pages(list, mirror.ProofCounted, false, convert)); cursors[0] != "" {
		t.Errorf("cursors %v of a listing that cannot be resumed", cursors)
	}
}
