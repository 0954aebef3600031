package mirror_test

import (
	"fmt"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/remote"
)

// wiredRecord says with its tags how the API calls its columns.
type wiredRecord struct {
	ID      uint64
	Remote  string `sync:"key"`
	Type    string `sync:"group=data" wire:"type"`
	Content string `sync:"group=data" wire:"content"`
	Comment string `wire:"comment"`
	nawasync.SyncStatus
}

// An Update sends what has changed. Type and content are one decision.
func ExampleWire() {
	wire, err := mirror.NewWire[wiredRecord]()
	if err != nil {
		panic(err)
	}
	want := wiredRecord{Type: "A", Content: "192.0.2.1", Comment: "web"}
	fields, err := wire.Changed(want, mirror.FieldDiff{{Field: "content"}})
	fmt.Println(fields, err)
	// Output: map[content:192.0.2.1 type:A] <nil>
}

// A List of an API that pages by number and has a total.
func ExamplePages() {
	type record struct{ ID, Content string }
	list := remote.PagesByNumber("", func(int) (remote.Page[record], error) {
		return remote.Page[record]{Items: []record{{"7", "192.0.2.1"}}, Pages: 1, Total: new(int64(1))}, nil
	})
	for page, err := range mirror.Pages(list, mirror.ProofCounted, true, func(r record) wiredRecord {
		return wiredRecord{Remote: r.ID, Content: r.Content}
	}) {
		fmt.Println(page.Items[0].Remote, page.Proof.Level, page.Proof.Total, err)
	}
	// Output: 7 counted 1 <nil>
}

// A migration takes the statements of its database.
func ExampleTableStatements() {
	statements, err := mirror.TableStatements[wiredRecord]("sqlite")
	for line := range strings.SplitSeq(statements[0], ", ") {
		fmt.Println(line)
	}
	fmt.Println(err)
	// Output:
	// CREATE TABLE wired_records (id INTEGER PRIMARY KEY AUTOINCREMENT
	// "remote" TEXT NOT NULL
	// "type" TEXT NOT NULL
	// "content" TEXT NOT NULL
	// "comment" TEXT NOT NULL)
	// <nil>
}
