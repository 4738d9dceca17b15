// Loaded before the page is painted, so that a chosen theme does not flash. Without a choice the system's stands.
(function () {
  try {
    const chosen = localStorage.getItem('countersign.theme');
    if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
  } catch { /* a browser that keeps nothing has no choice to keep */ }
})();
