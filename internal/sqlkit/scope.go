package sqlkit

import (
	"strconv"
	"strings"
)

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
// instance, which is an expression. MySQL has none that uses the index; see ScopesUpTo.
func (d Dialect) InScopesOf(scope, instance string) string {
	if d.Name == "postgres" {
		return scope + " = ANY (ARRAY(SELECT array_to_string((string_to_array(" + instance + ", '/'))[1:n], '/')" +
			" FROM generate_series(0, cardinality(string_to_array(" + instance + ", '/'))) n))"
	}
	return scope + " IN (WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + INSTR(SUBSTR(" + instance + " || '/', n + 1), '/') FROM c WHERE n < LENGTH(" + instance + ") + 1)" +
		" SELECT SUBSTR(" + instance + ", 1, n - 1) FROM c)"
}

// ScopesUpTo returns, for MySQL, expressions for the scopes that cover an instance: "", those of up to n
// components, and the instance, which is an expression.
func ScopesUpTo(n int, instance string) []string {
	list := []string{"''"}
	for i := 1; i <= n; i++ {
		list = append(list, "SUBSTRING_INDEX("+instance+", '/', "+strconv.Itoa(i)+")")
	}
	return append(list, instance)
}
