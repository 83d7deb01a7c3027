/* Files in the chat: #names of collections are completed in the message box, and numbers of sources open them. */
(() => {
  const MOST = 8;       // names that are offered at once
  const line = () => document.querySelector('#mc-message textarea');
  const menu = () => document.querySelector('#mc-files .mc-files-menu');
  const names = () => [...document.querySelectorAll('#mc-files [data-insert]')].map(button => button.dataset.insert);
  const plain = text => text.toLowerCase().normalize('NFKD').replace(/\p{M}/gu, '').replace(/ı/g, 'i');
  const write = (text, caret) => {
    const box = line();
    box.value = text;
    box.dispatchEvent(new Event('input', {bubbles: true}));
    box.focus();
    box.setSelectionRange(caret, caret);
  };

  // --- the list over the message box ---
  let list = null, begin = 0, chosen = 0;
  function offer() {
    const box = line(), before = box.value.slice(0, box.selectionStart), typed = before.match(/(?:^|[^\p{L}\p{N}_#&/])#([^#\n]{0,60})$/u);
    const found = typed ? names().filter(name => plain(name).includes(plain(typed[1]))).slice(0, MOST) : [];
    if (!found.length || found.some(name => typed[1].toLowerCase().startsWith(`${name.toLowerCase()} `))) { close(); return; }
    begin = before.length - typed[1].length - 1;
    chosen = 0;
    show(found);
  }
  function show(found) {
    close();
    list = document.createElement('ul');
    Object.assign(list, {id: 'mc-complete', role: 'listbox', ariaLabel: menu()?.querySelector('summary').title ?? ''});
    found.forEach((name, index) => {
      const item = document.createElement('li');
      Object.assign(item, {id: `mc-complete-${index}`, role: 'option', textContent: `#${name}`});
      item.dataset.name = name;
      item.addEventListener('mousedown', event => { event.preventDefault(); complete(name); });      // before the box loses the focus
      list.append(item);
    });
    document.querySelector('.mc-composer').append(list);
    const box = line();
    box.setAttribute('aria-autocomplete', 'list');
    box.setAttribute('aria-controls', list.id);
    mark();
    document.getElementById('mc-said').textContent = (menu()?.dataset.found ?? '').replace('#', found.length);
  }
  function mark() {
    [...list.children].forEach((item, index) => item.setAttribute('aria-selected', index === chosen));
    line().setAttribute('aria-activedescendant', `mc-complete-${chosen}`);
    list.children[chosen].scrollIntoView({block: 'nearest'});
  }
  function close() {
    list?.remove();
    list = null;
    for (const name of ['aria-controls', 'aria-activedescendant', 'aria-autocomplete']) line()?.removeAttribute(name);
  }
  function complete(name) {
    const box = line(), after = box.value.slice(box.selectionStart), start = `${box.value.slice(0, begin)}#${name} `;
    close();
    write(start + after.replace(/^ /, ''), start.length);
    close();        // the new text is a name that is complete
  }
  document.addEventListener('input', event => { if (event.target === line()) offer(); });
  document.addEventListener('focusout', event => { if (event.target === line()) close(); });
  document.addEventListener('keydown', event => {     // before Gradio, which sends the message on Enter
    if (!list || event.isComposing || event.target !== line()) return;
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (step) { chosen = (chosen + step + list.children.length) % list.children.length; mark(); }
    else if (event.key === 'Enter' || event.key === 'Tab') complete(list.children[chosen].dataset.name);
    else if (event.key === 'Escape') close();
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);

  // --- the menu, and links to sources ---
  document.addEventListener('click', event => {
    const button = event.target.closest('button'), link = event.target.closest('a[href*="#mc-source-"]');
    if (button?.dataset.insert) {
      const box = line(), gap = box.value && !/\s$/.test(box.value) ? ' ' : '', text = `${box.value}${gap}#${button.dataset.insert} `;
      write(text, text.length);
      close();
    }
    if (button?.dataset.openTab) document.getElementById(`mc-tab-${button.dataset.openTab}-button`)?.click();
    if (!link) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const [id, value] = link.getAttribute('href').split('#mc-source-')[1].split('-');
    mindcubes.bus({act: 'source', id, value});
  }, true);
})();
