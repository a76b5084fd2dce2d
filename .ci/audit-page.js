// Measures the page of an audit. `.ci/audit-page` appends it to a copy, and compares what it finds.
const lines = [];
const say = line => lines.push(line);
const all = (selector, below = document) => [...below.querySelectorAll(selector)];
const box = element => element.getBoundingClientRect();
const near = (one, other) => Math.abs(one - other) < 1.5;
const row = name => all(".waterfall tbody tr").find(row => label(row) === name);
const label = row => [...row.querySelector("th").childNodes].filter(node => node.nodeType === Node.TEXT_NODE).map(node => node.data.trim()).join("");
const above = row => label(row.previousElementSibling);
const marked = kind => all(`.waterfall tr[data-breaks~="${kind}"]`);
const bar = row => box(row.querySelector("rect"));
const lane = row => box(row.querySelector("svg.bar"));
const percent = (at, row) => Math.round((at - lane(row).left) / lane(row).width * 100);

try {
    const loaded = performance.getEntriesByType("resource").map(entry => entry.name);
    say(`loaded: ${loaded.join(" ") || "nothing"}`);

    // As a reader does: from the kind to its example, and to the waterfall.
    const [ghost] = marked("missing-parent");
    const link = document.querySelector("#missing-parent a[href^='#trace-']");
    ghost.closest("details").open = false;
    link.click();
    location.hash = link.hash;
    const trace = document.querySelector(link.hash);
    trace.open = true;
    say(`missing-parent: link leads to an open waterfall: ${trace === ghost.closest("details") && lane(ghost).height > 0}`);

    const child = ghost.nextElementSibling;
    const dashed = ghost.querySelector("rect");
    const inside = bar(ghost).top >= box(ghost).top && bar(ghost).bottom <= box(ghost).bottom && bar(ghost).width > 0;
    say(`missing-parent: dashed bar in its row: ${inside && getComputedStyle(dashed).strokeDasharray !== "none" && getComputedStyle(dashed).fill === "none"}`);
    say(`missing-parent: "${above(child)}" stands above "${label(child)}"`);
    say(`missing-parent: bar from that of "${label(child)}" to its end: ${near(bar(ghost).left, bar(child).left) && near(bar(ghost).right, bar(child).right)}`);
    say(`missing-parent: bar at ${percent(bar(ghost).left, ghost)} % to ${percent(bar(ghost).right, ghost)} % of the lane`);

    const [open] = marked("never-ended");
    const end = box(open.querySelector("line.never"));
    say(`never-ended: marked in the row of "${label(open)}" at ${percent((end.left + end.right) / 2, open)} % of the lane`);
    const [caller] = marked("unparented-entry");
    say(`unparented-entry: "${label(caller)}" stands above "${label(caller.nextElementSibling)}"`);
    for (const kind of ["ended-before-child", "conflicting-tag"]) {
        const [found] = marked(kind);
        const outline = box(found.querySelector("rect.outline"));
        const around = outline.top < bar(found).top && outline.bottom > bar(found).bottom;
        say(`${kind}: ${around ? "marked" : "not marked"} in the row of "${label(found)}"`);
    }
    say(`a child is right of its parent's start: ${bar(row("charge")).left > bar(row("create_order")).left}`);
    say(`rows that are marked: ${all("tr.broken").length} of ${all(".waterfall tbody tr").length}`);

    const reachable = all("summary, a").every(element => element.tabIndex === 0 && (element.matches("a[href], details > summary:first-child")));
    say(`keys: every summary and link can be reached: ${reachable}`);
    const paper = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number);
    say(`colours: ${paper[3] === 0 ? "none" : paper[0] > 128 ? "light" : "dark"}`);
} catch (error) {
    say(`failed: ${error.stack}`);
}

const found = document.createElement("pre");
found.id = "found";
found.textContent = lines.join("\n");
document.body.append(found);
