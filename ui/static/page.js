/* What only the browser can do: cookies, theme and language, keyboard, copying, drawers, dialogs, downloads, drafts. */
window.mindcubes = (() => {
  const LANGUAGE = 'mindcubes_language', THEME = 'mindcubes_theme', KEY = 'mindcubes_key', ZONE = 'mindcubes_zone';
  const LONG_PASTE = 4000;        // characters; longer pasted text becomes an attachment
  const stored = name => { try { return localStorage.getItem(name); } catch { return null; } };
  const store = (name, value) => { try { value ? localStorage.setItem(name, value) : localStorage.removeItem(name); } catch { /* private window */ } };
  const $ = id => document.getElementById(id);
  const line = () => document.querySelector('#mc-message textarea');
  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // --- visitor, time zone and language: in cookies for the server, and in local storage, which browsers keep longer ---
  function setCookie(name, value) {
    const rule = location.protocol === 'https:' ? 'SameSite=None; Secure; Partitioned' : 'SameSite=Lax';
    document.cookie = `${name}=${value}; path=/; max-age=31536000; ${rule}`;
  }
  function rememberLanguage(language) {
    setCookie(LANGUAGE, language);
    store(LANGUAGE, language);
    document.documentElement.lang = language;
  }
  if (stored(LANGUAGE)) rememberLanguage(stored(LANGUAGE));
  function isAllEnglish() {       // whether the page is in English before the server has answered, and stays so
    const first = navigator.languages[0]?.slice(0, 2).toLowerCase(), preset = ['tr', 'zh'].includes(first) ? first : 'en';
    return preset === 'en' && (cookie(LANGUAGE) || preset) === 'en';
  }
  const cookie = name => document.cookie.match(new RegExp(`(?:^|; )${name}=([^;]*)`))?.[1];
  const randomKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, '0')).join('');
  const key = stored(KEY) || cookie(KEY) || randomKey();
  setCookie(KEY, key);
  store(KEY, key);
  setCookie(ZONE, -new Date().getTimezoneOffset());

  if (stored(THEME) && !new URL(location.href).searchParams.has('__theme')) showTheme(stored(THEME) === 'dark');
  function showTheme(isDark) {
    document.body.classList.toggle('dark', isDark);
    address({__theme: isDark ? 'dark' : 'light'});      // the parameter that Gradio reads
  }
  function toggleTheme() {
    const isDark = !document.body.classList.contains('dark');
    store(THEME, isDark ? 'dark' : 'light');
    showTheme(isDark);
  }
  function address(changes) {
    const url = new URL(location.href);
    for (const [name, value] of Object.entries(changes)) value ? url.searchParams.set(name, value) : url.searchParams.delete(name);
    if (url.href !== location.href) history.replaceState(null, '', url);
  }

  // --- the address names the chat that is shown, so that a reload shows it again, with the draft of the next message ---
  let place = null;
  function arrived() {
    const now = $('mc-place');
    if (!now || (place && now.dataset.chat === place.chat && now.dataset.share === place.share)) return;
    const isFirst = place === null, moved = place && (place.chat || now.dataset.chat === '');
    place = {...now.dataset};
    address({chat: place.chat, share: place.share});
    document.body.classList.toggle('mc-is-shared', !!place.share);
    if (isFirst || moved) restoreDraft();
    toggleSide(false);
    toEnd();
  }
  const draftName = () => `mindcubes_draft_${place?.chat || ''}`;
  function restoreDraft() {
    const draft = stored(draftName());
    if (draft && line() && !line().value) write(draft);
  }
  const write = text => writeTo(line(), text);
  function writeTo(box, text) {
    box.value = text;
    box.dispatchEvent(new Event('input', {bubbles: true}));
  }
  document.addEventListener('input', event => { if (event.target === line()) store(draftName(), line().value); });
  let sentFrom = '';       // the name of the draft that was sent: the first message of a chat changes it before the server answers
  const sending = () => { sentFrom = draftName(); toEnd(); };

  // --- drawers ---
  function toggleOptions(isOpen) {
    const open = $('mc-options').classList.toggle('is-open', isOpen);
    $('mc-options-toggle')?.setAttribute('aria-expanded', open);
    if (open) $('mc-options').querySelector('textarea').focus();
    else $('mc-options-toggle')?.focus();
  }
  function toggleSide(isOpen) {
    if ($('mc-side')?.classList.contains('is-open') === isOpen) return;
    $('mc-side')?.classList.toggle('is-open', isOpen);
    if (isOpen) $('mc-new')?.focus();
  }

  // --- dialogs ---
  const word = name => $('mc-words')?.dataset[name] || name;
  function dialog(title, body, buttons) {
    const form = make('form', {method: 'dialog'}, make('h2', {textContent: title}), ...body, make('div', {className: 'mc-dialog-acts'}, ...buttons));
    const box = make('dialog', {className: 'mc-dialog'}, form);
    box.setAttribute('aria-label', title);
    box.addEventListener('close', () => box.remove());
    document.body.append(box);
    box.showModal();
    return box;
  }
  function ask(question, value) {
    return new Promise(answer => {
      const input = make('input', {value, ariaLabel: question});
      const box = dialog(question, [input], [make('button', {type: 'submit', value: 'cancel', textContent: word('cancel'), formNoValidate: true}),
        make('button', {type: 'submit', value: 'ok', textContent: word('ok'), className: 'mc-primary'})]);
      input.addEventListener('keydown', event => {
        if (event.key === 'Enter' && !event.isComposing) { event.preventDefault(); box.close('ok'); }
      });
      box.addEventListener('close', () => answer(box.returnValue === 'ok' ? input.value : null));
      input.select();
    });
  }
  async function confirmed(button) {       // asks first, if the button has a question
    if (!button.dataset.confirm) return true;
    const box = dialog(button.dataset.confirm, [], [make('button', {type: 'submit', value: 'cancel', textContent: word('cancel')}),
      make('button', {type: 'submit', value: 'ok', textContent: button.textContent, className: 'mc-primary'})]);
    return new Promise(answer => box.addEventListener('close', () => answer(box.returnValue === 'ok')));
  }
  const closer = () => make('button', {type: 'submit', textContent: word('close')});
  const receivers = {
    line({text}) { write(text); },
    sent({text}) {      // removes the sent text from the message box, and keeps what was typed after it
      if (!line()?.value.startsWith(text)) return;
      write(line().value.slice(text.length));
      if (sentFrom !== draftName()) store(sentFrom, '');
      toEnd();
    },
    run({run}) { address({run}); toLastStep(); },
    tune({tune}) {      // another step of the Fine-tune tab: the button that led to it may be gone
      address({tune});
      const tab = $('mc-tab-finetune-button');
      if (tab?.getAttribute('aria-selected') === 'false') tab.click();
      requestAnimationFrame(() => { if (document.activeElement === document.body) document.querySelector('.mc-stepper [aria-current]')?.focus(); });
    },
    use({tab, choice}) {      // a model that was just trained
      $(`mc-tab-${tab}-button`)?.click();
      if (choice) mindcubes.bus({act: 'compare', id: '', value: choice});
      else if (tab === 'chat') $('mc-new')?.click();
    },
    asked({run, text}) {
      address({run});
      const box = task();
      if (box?.value.startsWith(text)) writeTo(box, box.value.slice(text.length));
      toLastStep();
    },
    download({name, text}) {
      const link = make('a', {href: URL.createObjectURL(new Blob([text])), download: name});
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    },
    prompt({title, note, tokens}) {
      const shown = make('pre', {className: 'mc-tokens', tabIndex: 0}, ...tokens.map(token => make('span', {textContent: token})));
      dialog(title, [make('p', {textContent: note}), shown], [copier(() => tokens.join('')), closer()]);
    },
    picture({name, source}) {
      const shown = make('img', {className: 'mc-large', src: source, alt: name});
      dialog(name, [shown], [closer()]).classList.add('mc-wide-dialog');
    },
    source({title, note, before, passage, after}) {      // a file, at the passage that is marked
      const mark = make('mark', {textContent: passage});
      const shown = make('pre', {className: 'mc-source-text', tabIndex: 0}, before, ...(passage ? [mark] : []), after);
      shown.setAttribute('aria-label', title);
      shown.setAttribute('role', 'region');
      dialog(title, [...(note ? [make('p', {textContent: note})] : []), shown], [copier(() => passage || before + after), closer()]).classList.add('mc-source');
      shown.scrollTop = passage ? mark.offsetTop - shown.clientHeight / 4 : 0;      // of its positioned parent, which is `shown`
      shown.focus();
    },
    share({title, note, token, revoke, anew}) {
      const url = new URL(location.href);
      url.search = `?share=${token}`;
      const input = make('input', {value: url.href, readOnly: true, ariaLabel: title});
      const act = (label, name) => make('button', {type: 'submit', textContent: label, onclick: () => mindcubes.bus({act: name, id: token})});
      dialog(title, [make('p', {textContent: note}), input], [act(revoke, 'revoke'), act(anew, 'share-anew'), copier(() => input.value), closer()]);
      input.select();
    },
    toast({text}) {
      const toast = make('div', {className: 'mc-toast', role: 'status', textContent: text});
      document.body.append(toast);
      setTimeout(() => toast.remove(), 4000);
    },
  };
  let lastMessage = '';
  function receive(element) {
    const holder = element.querySelector('[data-message]');
    const message = holder && JSON.parse(holder.dataset.message);
    if (!message || message.id === lastMessage) return;
    lastMessage = message.id;
    receivers[message.kind]?.(message);
  }

  // --- copying ---
  async function toClipboard(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = make('textarea', {value: text});
      (document.querySelector('dialog[open]') || document.body).append(area);
      area.select();
      const isCopied = document.execCommand('copy');
      area.remove();
      return isCopied;
    }
  }
  async function copy(button) {
    button.classList.add(await toClipboard(button.dataset.text) ? 'is-done' : 'is-failed');
    setTimeout(() => button.classList.remove('is-done', 'is-failed'), 1500);
  }
  function copier(text) {
    const button = make('button', {type: 'button', textContent: word('copy')});
    button.onclick = async () => { button.textContent = await toClipboard(text()) ? word('copied') : word('copy'); };
    return button;
  }

  // --- the page scrolls along with the end of the conversation, unless the visitor has scrolled away from it ---
  const NEAR_END = 80;        // px
  const log = () => document.querySelector('#mc-conversation [role=log]');
  let isAtEnd = true;
  document.addEventListener('scroll', event => {
    if (event.target !== log()) return;
    isAtEnd = event.target.scrollHeight - event.target.scrollTop - event.target.clientHeight < NEAR_END;
    $('mc-chat').classList.toggle('mc-is-away', !isAtEnd);
  }, true);
  function toEnd() {
    isAtEnd = true;
    $('mc-chat')?.classList.remove('mc-is-away');
    const shown = log();
    if (shown) shown.scrollTop = shown.scrollHeight;
  }

  // --- what Gradio's chatbot lacks: languages of code blocks, a button to wrap lines, one screen reader announcement per reply ---
  function completeMessages() {
    for (const pre of document.querySelectorAll('.mc-conversation pre:not([data-language])')) {
      pre.dataset.language = pre.querySelector('code')?.className.match(/language-(\w+)/)?.[1] || '';
      pre.append(make('button', {type: 'button', className: 'mc-wrap', textContent: '⤶', title: word('wrap'), ariaLabel: word('wrap')}));
    }
    for (const log of document.querySelectorAll('.mc-conversation [role=log]')) log.setAttribute('aria-live', 'off');
    // Gradio puts a button without a name inside another button that does the same: disable the inner one and name it.
    for (const arrow of document.querySelectorAll('.mc-conversation .thought-group .title button:enabled')) {
      Object.assign(arrow, {disabled: true, ariaLabel: arrow.closest('.title').innerText.trim() || '›'});
    }
    if (!wasWriting || isWriting()) return;
    wasWriting = false;
    $('mc-said').textContent = [...document.querySelectorAll('#mc-conversation [data-testid=bot] .prose')].pop()?.innerText || '';
  }
  const isWriting = () => !!document.querySelector('#mc-conversation .mc-foot[role=status]');
  let completing = 0, wasWriting = false;
  new MutationObserver(() => {
    if (isAtEnd) toEnd();       // at once: in the next frame, the scroll event caused by new text would look like one of the visitor's
    wasWriting ||= isWriting();
    completing ||= setTimeout(() => { completing = 0; completeMessages(); }, 250);
  }).observe(document.documentElement, {childList: true, subtree: true});

  // --- events ---
  document.addEventListener('click', event => {
    const button = event.target.closest('button');
    for (const menu of document.querySelectorAll('.mc-menu[open]')) if (!menu.contains(event.target) || button) menu.open = false;
    const drawer = $('mc-agent-side');
    if (button?.dataset.drawer || !event.target.closest('#mc-agent-side') || ['open', 'new'].includes(button?.dataset.agent)) {
      drawer?.classList.toggle('is-open', !!button?.dataset.drawer && !drawer.classList.contains('is-open'));
    }
    if (!button) {
      if ($('mc-side')?.classList.contains('is-open') && !event.target.closest('#mc-side')) toggleSide(false);
      return;
    }
    if (button.id === 'mc-theme') toggleTheme();
    else if (button.id === 'mc-end') toEnd();
    else if (button.dataset.side !== undefined) toggleSide(true);
    else if (button.classList.contains('mc-copy')) copy(button);
    else if (button.classList.contains('mc-wrap')) button.closest('pre').classList.toggle('is-wrapped');
    else if (button.dataset.act) act(button);
    else if (button.dataset.agent) agentAct(button);
    if (button.id === 'mc-send') sending();
  });
  async function act(button) {
    const {act: name, id, ask: question, value: before} = button.dataset;
    const value = question ? await ask(question, before) : button.value || null;
    if (question && !value) return;
    if (name === 'forget-files') forgotten.push(id);
    mindcubes.bus({act: name, id, value});
    if (name === 'edit' || name === 'unqueue') setTimeout(() => line().focus(), 200);
    if (name === 'open') toggleSide(false);
    if (button.closest('.mc-step-ask') && matchMedia('(hover: hover)').matches) line().focus();      // the button goes away
  }

  document.addEventListener('change', ({target: list}) => {
    if (!list.matches?.('select[data-act]')) return;
    list.dataset.chosen = 'yes';
    act(list);
    if (!list.closest('.mc-tag')) return;
    new MutationObserver((_, drawing) => {      // its chip is drawn again: the focus goes on in the new one
      if (list.isConnected) return;
      drawing.disconnect();
      if (document.activeElement === document.body) document.querySelector(`.mc-tag select[data-id="${list.dataset.id}"]`)?.focus();
    }).observe($('mc-chips'), {childList: true, subtree: true});
  });

  // What was chosen in the lists beside the message box goes with a message: it may arrive before the choice itself. So do the ids of
  // collections that were removed since the last message.
  let forgotten = [];
  function withLists(values, from) {
    ['think', 'adapter'].forEach((name, i) => {
      const list = document.querySelector(`#mc-thinking select[data-act=${name}]`);
      values[from + i] = list?.dataset.chosen ? list.value : null;
    });
    values[from + 2] = forgotten.join(' ');
    if (from === 2) forgotten = [];     // this is a message
    return values;
  }

  // --- the agent's timeline: only changed sections are replaced, so that open details and scroll positions stay ---
  const task = () => document.querySelector('#mc-task textarea');
  function patch(id, source) {
    const target = $(id), box = make('template', {innerHTML: source.querySelector('[data-timeline]')?.dataset.timeline ?? ''});
    if (!target) return;
    const sections = [...box.content.children], old = new Map([...target.children].map(section => [section.dataset.key, section]));
    for (const section of target.querySelectorAll(':scope > section')) {
      if (!sections.some(each => each.dataset.key === section.dataset.key)) section.remove();
    }
    sections.forEach((section, index) => {
      const before = old.get(section.dataset.key);
      if (before?.dataset.stamp !== section.dataset.stamp) {
        for (const part of before?.querySelectorAll('details[data-name]') ?? []) {
          const same = section.querySelector(`details[data-name="${CSS.escape(part.dataset.name)}"]`);
          if (same) same.open = part.open;
        }
        before ? before.replaceWith(section) : target.insertBefore(section, target.children[index] ?? null);
      } else if (target.children[index] !== before) target.insertBefore(before, target.children[index] ?? null);
    });
    if (isAtLastStep && sections.length) toLastStep();
  }
  let isAtLastStep = true;
  function toLastStep() {
    isAtLastStep = true;
    requestAnimationFrame(() => { $('mc-agent-scroll').scrollTop = $('mc-agent-scroll').scrollHeight; });
  }
  document.addEventListener('scroll', ({target}) => {
    if (target.id === 'mc-agent-scroll') isAtLastStep = target.scrollHeight - target.scrollTop - target.clientHeight < NEAR_END;
  }, true);
  document.addEventListener('load', ({target}) => { if (isAtLastStep && target.closest?.('#mc-steps')) toLastStep(); }, true);     // an image has loaded
  async function agentAct(button) {
    const name = button.dataset.agent, program = button.closest('[data-name=code]');
    if (!await confirmed(button)) return;
    if (name === 'edit') {
      const editor = program.querySelector('.mc-editor');
      editor.hidden = !editor.hidden;
      program.classList.toggle('is-edited', !editor.hidden);
      (editor.hidden ? program.querySelector('[data-agent=edit]') : editor.querySelector('textarea')).focus();
      return;
    }
    if (['approve', 'run', 'fix', 'continue'].includes(name)) toLastStep();
    mindcubes.agent({do: name, value: program ? program.querySelector('.mc-editor textarea').value : button.dataset.value});
  }
  const asked = new URL(location.href).searchParams, wanted = asked.get('run') ? 'agent' : asked.get('tune') ? 'finetune' : asked.get('tab');
  if (/^[a-z]+$/.test(wanted || '')) {     // a link to a tab
    const looking = setInterval(() => {
      if (document.readyState === 'complete' && document.querySelector('#mc-tab-chat-button') && !$(`mc-tab-${wanted}-button`)) clearInterval(looking);
      const tab = $(`mc-tab-${wanted}-button`);
      if (!tab) return;
      clearInterval(looking);
      tab.click();
    }, 100);
  }
  // Files that were pasted or dropped are uploaded as if they had been chosen with the button.
  const upload = (files, button = 'mc-attach') => {
    const input = document.querySelector(`#${button} input[type=file]`) || $(button)?.parentElement?.querySelector('input[type=file]');
    if (!input || !files?.length) return false;
    input.files = files;
    input.dispatchEvent(new Event('change', {bubbles: true}));
    return true;
  };
  const dropped = target => target.closest?.('#mc-tune-drop') ? 'mc-tune-upload' : target.closest?.('.mc-composer') ? 'mc-attach' : '';
  document.addEventListener('dragover', event => {
    if (dropped(event.target) && event.dataTransfer?.types.includes('Files')) event.preventDefault();
    $('mc-tune-drop')?.classList.toggle('is-over', !!event.target.closest?.('#mc-tune-drop'));
  });
  for (const end of ['drop', 'dragend', 'dragleave']) document.addEventListener(end, () => $('mc-tune-drop')?.classList.remove('is-over'));
  document.addEventListener('drop', event => {
    const button = dropped(event.target);
    if (button && event.dataTransfer?.files.length) { event.preventDefault(); upload(event.dataTransfer.files, button); }
  });
  document.addEventListener('paste', event => {
    if (event.target === line() && event.clipboardData?.files.length && upload(event.clipboardData.files)) { event.preventDefault(); return; }
    const text = event.clipboardData?.getData('text/plain') || '';
    if (event.target !== line() || text.length < LONG_PASTE) return;
    event.preventDefault();
    mindcubes.bus({act: 'attach-text', id: '', value: text});
  }, true);
  document.addEventListener('keydown', event => {
    if (event.isComposing || document.querySelector('dialog[open]')) return;
    if (event.key === 'Enter' && event.target === line()) sending();
    if (event.key !== 'Escape') return;
    const stop = $('mc-stop'), menu = document.querySelector('.mc-menu[open]');
    if (menu) { menu.open = false; menu.querySelector('summary').focus(); }
    else if ($('mc-side')?.classList.contains('is-open')) toggleSide(false);
    else if (stop?.offsetParent) stop.click();
    else if ($('mc-agent-stop')?.offsetParent) $('mc-agent-stop').click();
    else if ($('mc-options')?.classList.contains('is-open')) toggleOptions(false);
  });
  return {rememberLanguage, isAllEnglish, translate: () => {}, toggleOptions, arrived, receive, ask, confirmed, patch, withLists, bus: () => {}, agent: () => {}};
})();
