'use strict';
(() => {
  const find = document.querySelector('.find');
  const input = document.getElementById('find');
  const results = document.getElementById('results');
  const count = document.getElementById('count');
  const most = 60;
  let index = null;
  const label = (element) => {
    const home = element.closest('article, section');
    const heading = home && home.querySelector('h2, h3');
    return heading ? heading.textContent : '';
  };
  // What can be found: rows, files, steps, lines of the spec. Read once, when somebody begins to search.
  const read = () => {
    const found = [];
    for (const element of document.querySelectorAll('main h3, tbody tr, .files li, .runbook li, .spec li')) {
      const text = element.textContent.replace(/\s+/g, ' ').trim();
      found.push({ element, text, low: text.toLowerCase() });
    }
    return found;
  };
  const go = (element) => {
    for (let up = element.parentElement; up; up = up.parentElement) {
      if (up.localName === 'details') up.open = true;
    }
    for (const old of document.querySelectorAll('.found')) old.classList.remove('found');
    element.classList.add('found');
    element.tabIndex = -1;
    element.scrollIntoView({ block: 'center' });
    element.focus({ preventScroll: true });
  };
  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    results.replaceChildren();
    count.textContent = '';
    if (!words.length) return;
    index = index || read();
    const hits = index.filter((entry) => words.every((word) => entry.low.includes(word)));
    for (const hit of hits.slice(0, most)) {
      const link = document.createElement('a');
      link.href = '#main';
      link.textContent = hit.text.length > 140 ? hit.text.slice(0, 140) + '…' : hit.text;
      const where = document.createElement('span');
      where.textContent = ' ' + label(hit.element);
      link.append(where);
      link.addEventListener('click', (event) => {
        event.preventDefault();
        go(hit.element);
      });
      const item = document.createElement('li');
      item.append(link);
      results.append(item);
    }
    const more = hits.length > most ? ', the first ' + most + ' are shown' : '';
    count.textContent = hits.length + (hits.length === 1 ? ' place' : ' places') + more;
  };
  let waiting = 0;
  input.addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(show, 60);
  });
  find.addEventListener('keydown', (event) => {
    const links = [...results.querySelectorAll('a')];
    const at = links.indexOf(document.activeElement);
    if (event.key === 'ArrowDown' && links.length) {
      event.preventDefault();
      links[Math.min(at + 1, links.length - 1)].focus();
    } else if (event.key === 'ArrowUp' && at >= 0) {
      event.preventDefault();
      (at ? links[at - 1] : input).focus();
    } else if (event.key === 'Enter' && at < 0 && links.length) {
      event.preventDefault();
      links[0].click();
    } else if (event.key === 'Escape') {
      input.value = '';
      show();
      input.focus();
    }
  });
  document.addEventListener('keydown', (event) => {
    const typing = event.target instanceof Element && event.target.closest('input, textarea');
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      input.focus();
      input.select();
    }
  });
  // A link into what is folded away unfolds it; paper shows everything.
  const unfold = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    for (let up = target; up; up = up.parentElement) {
      if (up.localName === 'details') up.open = true;
    }
  };
  addEventListener('hashchange', unfold);
  addEventListener('beforeprint', () => {
    for (const details of document.querySelectorAll('details')) details.open = true;
  });
  unfold();
  find.hidden = false;
})();
