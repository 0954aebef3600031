// Completion of the query: of keys, and of the values of a key. The query works without this script.

const input = document.querySelector("[data-suggest]");
const list = document.createElement("ul");
let active = -1; // the index of the marked option, or -1
let timer = 0;

function set(element, attributes) {
	for (const [name, value] of Object.entries(attributes)) { element.setAttribute(name, value); }
}

set(list, { "id": "suggestions", "role": "listbox", "aria-label": input.dataset.label });
set(input, { "role": "combobox", "aria-autocomplete": "list", "aria-controls": list.id });
input.after(list);

// word returns what is completed at the cursor: from where to where it goes, what was entered of it, and the key
// that it is a value of, or "".
function word() {
	const cursor = input.selectionStart, parts = input.value.slice(0, cursor).match(/(?:"(?:[^"\\]|\\.)*"?|[^\s"])+|\s+/g) || [""];
	const term = parts.at(-1).trimStart();
	const [, key = ""] = term.match(/^-?([a-z]+):/) || [];
	const head = term.match(key ? /^-?[a-z]+:(?:(?:"(?:[^"\\]|\\.)*"|[^",])*,)*/ : /^-?/)[0].length;
	const rest = input.value.slice(cursor).match(key ? /^[^\s,]*/ : /^[^\s:]*:?/)[0].length;
	return { from: cursor - term.length + head, to: cursor + rest, key, prefix: term.slice(head).replaceAll('"', "") };
}

function show(open) {
	clearTimeout(timer);
	list.hidden = !open;
	input.setAttribute("aria-expanded", open);
	mark(-1);
}

// mark marks an option. The input keeps the focus.
function mark(index) {
	active = index;
	[...list.children].forEach((option, i) => option.setAttribute("aria-selected", i === active));
	input.setAttribute("aria-activedescendant", list.children[active]?.id || "");
	list.children[active]?.scrollIntoView({ block: "nearest" });
}

// take completes the query. After a key it suggests the values.
function take(option) {
	const { from, to } = word();
	input.setRangeText(option.dataset.insert, from, to, "end");
	show(false);
	if (option.dataset.insert.endsWith(":")) { suggest(); }
}

async function suggest() {
	const { from, to, key, prefix } = word(), text = input.value;
	const answer = await fetch(`${input.dataset.suggest}?${new URLSearchParams({ key, prefix })}`).catch(() => null);
	const found = answer?.ok ? (await answer.json()).filter(({ insert }) => insert !== text.slice(from, to)) : [];
	if (text !== input.value) { return; } // a later request answers
	list.replaceChildren(...found.map(({ insert, hint = "" }, i) => {
		const option = document.createElement("li"), note = document.createElement("span");
		set(option, { "id": `suggestion-${i}`, "role": "option", "data-insert": insert });
		note.textContent = hint;
		option.append(insert, " ", note);
		return option;
	}));
	show(found.length > 0 && document.activeElement === input);
}

show(false);
input.addEventListener("blur", () => show(false));
input.addEventListener("input", () => {
	clearTimeout(timer);
	timer = setTimeout(suggest, 120);
});
list.addEventListener("mousedown", (event) => {
	event.preventDefault(); // the input keeps the focus
	if (event.target.closest("li")) { take(event.target.closest("li")); }
});
input.addEventListener("keydown", (event) => {
	const n = list.children.length, step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
	if (list.hidden && event.key === "ArrowDown") {
		suggest();
	} else if (list.hidden || !(step || event.key === "Escape" || (event.key === "Enter" && active >= 0))) {
		return;
	} else if (step) {
		mark(active < 0 && step < 0 ? n - 1 : (active + step + n) % n);
	} else if (event.key === "Enter") {
		take(list.children[active]);
	} else {
		show(false);
	}
	event.preventDefault();
	event.stopPropagation();
});
