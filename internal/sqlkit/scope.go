package sqlkit

import "strings"

// A scope covers an instance if it is "", the instance itself, or its first components: "a/b" covers
// "a/b/c" and not "a/bc". Components are separated by slashes.

// ScopesOf returns the scopes that cover an instance: "" first, the instance last.
func ScopesOf(instance string) []string {
	list := []string{""}
	for i := 1; i < len(instance); i++ {
		if instance[i] == '/' {
			list = append(list, instance[:i])
		}
	}
	if instance != "" {
		list = append(list, instance)
	}
	return list
}

// Covers reports whether a scope covers an instance.
func Covers(scope, instance string) bool {
	return scope == "" || scope == instance || strings.HasPrefix(instance, scope+"/")
}

// Covers returns a condition that is true if a scope covers an instance. Both are expressions. It uses no
// index; see InScopesOf.
func (d Dialect) Covers(scope, instance string) string {
	with := "CONCAT(" + scope + ", '/')"
	if d.Name != "mysql" {
		with = scope + " || '/'"
	}
	length := Pick(d.Name == "sqlite", "LENGTH", "CHAR_LENGTH")
	return "(" + scope + " IN ('', " + instance + ") OR SUBSTR(" + instance + ", 1, " + length + "(" + scope + ") + 1) = " + with + ")"
}

// InScopesOf returns a condition that is true if scope, an indexed column, is one of the scopes that cover an
// instance, which is an expression. MySQL can only name them up to the sixth component, and the instance itself.
func (d Dialect) InScopesOf(scope, instance string) string {
	switch d.Name {
	case "postgres":
		return scope + " = ANY (ARRAY(SELECT array_to_string((string_to_array(" + instance + ", '/'))[1:n], '/')" +
			" FROM generate_series(0, cardinality(string_to_array(" + instance + ", '/'))) n))"
	case "mysql":
		parts := "''"
		for _, n := range []string{"1", "2", "3", "4", "5", "6"} {
			parts += ", SUBSTRING_INDEX(" + instance + ", '/', " + n + ")"
		}
		return scope + " IN (" + parts + ", " + instance + ")"
	}
	return scope + " IN (WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + INSTR(SUBSTR(" + instance + " || '/', n + 1), '/') FROM c WHERE n < LENGTH(" + instance + ") + 1)" +
		" SELECT SUBSTR(" + instance + ", 1, n - 1) FROM c)"
}
