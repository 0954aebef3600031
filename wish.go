package nawasync

// Wish says what the open changes of a row will make of it if they succeed; see Query.Wishes.
type Wish struct {
	// Jobs lists the jobs of these changes in the order in which they run.
	Jobs []int64 `json:"jobs"`
	// Creates says that one of them creates the object, and Deletes that one deletes it.
	Creates bool `json:"creates,omitempty"`
	Deletes bool `json:"deletes,omitempty"`
	// Fields has the columns that the changes set, each with the id of the job that sets it last. A secret is a column too.
	Fields map[string]int64 `json:"fields,omitempty"`
	// Masked lists those of Fields whose new value is not shown, in alphabetical order: secrets, hidden fields, and what jobs
	// mask. In the row, such a field has its stored value.
	Masked []string `json:"masked,omitempty"`
	// More says that the row has more open changes than the newest 20, which alone count.
	More bool `json:"more,omitempty"`
}
