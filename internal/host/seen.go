package host

// Seen is what a user saw of a row that a token names, where the row's present values do not show it.
type Seen struct {
	// Digests are salted digests of the values that the user saw, by column, of fields that have changed since.
	Digests map[string]string
	// Unseen has the columns that were never fetched when the user saw the row.
	Unseen map[string]bool
}
