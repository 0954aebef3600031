package nawasync

// Query says which rows, in which order. The zero value is the first 50 of all.
type Query struct {
	// Where are columns that must equal a value; Prefix columns that must begin with
	// a text, byte by byte.
	Where  map[string]any
	Prefix map[string]string
	// Search is looked for anywhere in the columns of mirror.Config.Search, without
	// regard to the case of ASCII letters. It reads every row of what else is asked for.
	Search string
	// States are the sync states to show; none is all.
	States []SyncState
	// Sort is a column, "-" before it for descending; rows without a value come last.
	// Default is the primary key. Large tables want an index for it.
	Sort string
	// After is List.Next of the page before; "" is the first page.
	After string
	// Limit is the page's size, 1 to 1000. Default 50.
	Limit int
	// Total asks for a count: 0 none, -1 an exact one, n > 0 one that stops at n.
	Total int64
}

// List is one page of rows.
type List[T any] struct {
	Items []T
	Next  string // for Query.After; "" at the end
	Total int64  // when it was asked for
	More  bool   // with Query.Total > 0: there are more than Total
}
