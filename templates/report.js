"use strict";
(function () {
  var root = document.documentElement;
  var tables = Array.prototype.slice.call(document.querySelectorAll("table.rows"));
  var search = document.getElementById("search");
  var status = document.getElementById("status");
  var levels = document.getElementById("levels");
  var theme = document.getElementById("theme");

  function bodyOf(table) {
    return table.tBodies[0];
  }

  function keyOf(row, column) {
    var cell = row.cells[column];
    var text = cell.getAttribute("data-key") || cell.textContent;
    return text.trim() !== "" && isFinite(text) ? Number(text) : text.toLowerCase();
  }

  function compare(left, right) {
    if (typeof left === typeof right) {
      return left < right ? -1 : left > right ? 1 : 0;
    }
    return typeof left === "number" ? -1 : 1;
  }

  function sort(table, column, header) {
    var descending = header.getAttribute("aria-sort") === "ascending";
    var rows = Array.prototype.map.call(bodyOf(table).rows, function (row, index) {
      return { row: row, index: index, key: keyOf(row, column) };
    });
    rows.sort(function (left, right) {
      var order = compare(left.key, right.key) || left.index - right.index;
      return descending ? -order : order;
    });
    var sorted = document.createDocumentFragment();
    rows.forEach(function (one) {
      sorted.appendChild(one.row);
    });
    bodyOf(table).appendChild(sorted);
    Array.prototype.forEach.call(header.parentNode.cells, function (other) {
      other.removeAttribute("aria-sort");
    });
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    status.textContent = "Sorted by " + header.textContent.trim() + ", " + header.getAttribute("aria-sort") + ".";
  }

  function makeSortable(table) {
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (header, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = header.textContent;
      header.textContent = "";
      header.appendChild(button);
      button.addEventListener("click", function () {
        sort(table, column, header);
      });
    });
  }

  function hiddenLevels() {
    var boxes = levels.querySelectorAll("input:not(:checked)");
    return Array.prototype.map.call(boxes, function (box) {
      return box.value;
    });
  }

  function filter() {
    var words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    var hidden = hiddenLevels();
    var shown = 0;
    tables.forEach(function (table) {
      var inTable = 0;
      var ofFindings = table.getAttribute("data-table") === "findings";
      Array.prototype.forEach.call(bodyOf(table).rows, function (row) {
        var text = row.textContent.toLowerCase();
        var matches = words.every(function (word) {
          return text.indexOf(word) >= 0;
        });
        if (ofFindings && hidden.indexOf(row.cells[0].textContent.trim()) >= 0) {
          matches = false;
        }
        row.hidden = !matches;
        inTable += matches ? 1 : 0;
      });
      shown += inTable;
      table.closest("section").querySelector(".nomatch").hidden = inTable > 0;
    });
    status.textContent = shown + " rows shown.";
  }

  function isDark() {
    var chosen = root.getAttribute("data-theme");
    return chosen ? chosen === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function showTheme() {
    theme.setAttribute("aria-pressed", String(isDark()));
  }

  tables.forEach(makeSortable);
  search.addEventListener("input", filter);
  levels.addEventListener("change", filter);
  theme.addEventListener("click", function () {
    root.setAttribute("data-theme", isDark() ? "light" : "dark");
    showTheme();
  });
  document.addEventListener("keydown", function (event) {
    var typing = event.target instanceof HTMLInputElement && event.target.type === "search";
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && typing) {
      search.value = "";
      filter();
    }
  });
  document.getElementById("tools").hidden = false;
  levels.hidden = false;
  showTheme();
})();
