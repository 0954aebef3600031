package secret

// The minimum lengths of what is decoded: shorter runs cannot hold minRedacted bytes.
const (
	minBase64 = minRedacted * 4 / 3
	minHex    = minRedacted * 2
)

// hexValues and base64Values hold the value of each digit, and -1 for other bytes. The standard and the URL
// alphabet of base64 are one.
var (
	hexValues    = digits("0123456789abcdef", "0123456789ABCDEF")
	base64Values = digits(base64Letters+"+/", base64Letters+"-_")
)

const base64Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func digits(alphabets ...string) *[256]int8 {
	values := &[256]int8{}
	for i := range values {
		values[i] = -1
	}
	for _, alphabet := range alphabets {
		for i := range len(alphabet) {
			values[alphabet[i]] = int8(i) //nolint:gosec // at most 64
		}
	}
	return values
}

// eachRun calls fn with the places of the digits of each run of at least atLeast digits. A run may be wrapped
// into lines.
func (v *view) eachRun(values *[256]int8, atLeast int, fn func(places []int)) {
	var places []int
	for i := 0; i < len(v.data); {
		if values[v.data[i]] < 0 {
			i++
			continue
		}
		places = places[:0]
		for i < len(v.data) {
			if values[v.data[i]] >= 0 {
				places = append(places, i)
				i++
				continue
			}
			next := v.lineBreak(i)
			if next == 0 {
				break
			}
			i = next
		}
		if len(places) >= atLeast {
			fn(places)
		}
	}
}

// lineBreak returns the start of the next line if a line ends at i, and otherwise 0.
func (v *view) lineBreak(i int) int {
	broken := false
	for ; i < len(v.data); i++ {
		switch v.data[i] {
		case '\n', '\r':
			broken = true
		case ' ', '\t':
			if !broken {
				return 0
			}
		default:
			if broken {
				return i
			}
			return 0
		}
	}
	return 0
}

// base64 decodes the digits at places, which begin in the middle of a group of four if the run does.
func (v *view) base64(out *view, places []int) {
	for len(places) >= 2 {
		group := places[:min(4, len(places))]
		places = places[len(group):]
		for i := range len(group) - 1 {
			high, low := base64Values[v.data[group[i]]], base64Values[v.data[group[i+1]]]
			char := byte(high)<<(2+2*i) | byte(low)>>(4-2*i) //nolint:gosec // digits are not negative
			out.put(char, span{v.source(group[i], group[i]+1).from, v.source(group[i+1], group[i+1]+1).to})
		}
	}
}

// hex decodes the digits at places.
func (v *view) hex(out *view, places []int) {
	for ; len(places) >= 2; places = places[2:] {
		char := byte(hexValues[v.data[places[0]]])<<4 | byte(hexValues[v.data[places[1]]]) //nolint:gosec // digits are not negative
		out.put(char, span{v.source(places[0], places[0]+1).from, v.source(places[1], places[1]+1).to})
	}
}

// eachList calls fn with the bytes of each list of numbers, as in [104 117 110], 68:75:6e or {0x68, 0x75}.
func (v *view) eachList(fn func(*view)) {
	var decimal, hexadecimal view
	flush := func(list *view) {
		if len(list.data) >= minRedacted {
			fn(list)
		}
		if len(list.data) > 0 {
			*list = view{data: list.data[:0], from: list.from[:0], to: list.to[:0]}
		}
	}
	end := 0
	for i := 0; i < len(v.data); {
		if hexValues[v.data[i]] < 0 {
			i++
			continue
		}
		from := i
		if v.data[i] == '0' && i+1 < len(v.data) && v.data[i+1] == 'x' {
			i += 2
		}
		start := i
		for i < len(v.data) && hexValues[v.data[i]] >= 0 {
			i++
		}
		if !v.separates(end, from) {
			flush(&decimal)
			flush(&hexadecimal)
		}
		end = i
		v.number(&decimal, start, i, 10, flush)
		v.number(&hexadecimal, start, i, 16, flush)
	}
	flush(&decimal)
	flush(&hexadecimal)
}

// number appends the number in data[i:j] to a list, or ends the list if it is not a byte.
func (v *view) number(list *view, i, j, base int, flush func(*view)) {
	value := 0
	for _, char := range v.data[i:min(j, i+4)] {
		digit := int(hexValues[char])
		if digit >= base {
			value = 256
		}
		value = value*base + digit
	}
	if i == j || value > 255 || j-i > 3 {
		flush(list)
		return
	}
	list.put(byte(value), v.source(i, j)) //nolint:gosec // at most 255
}

// separates reports whether data[i:j] is between two numbers of a list.
func (v *view) separates(i, j int) bool {
	if j == i || j-i > 4 {
		return false
	}
	for _, char := range v.data[i:j] {
		switch char {
		case ' ', ',', ':', ';', '\n', '\r', '\t', '-', '+':
		default:
			return false
		}
	}
	return true
}
