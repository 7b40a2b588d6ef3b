import { type SubmitEvent, useRef, useState } from 'react';
import { admin, type Settings, type SettingsVersion } from '../../api/admin';
import { ApiError, explain } from '../../api/client';
import { reloadInstance } from '../../api/instance';
import { usePages } from '../../api/use-pages';
import { useResource } from '../../api/use-resource';
import { Button } from '../../components/button';
import { Dialog } from '../../components/dialog';
import { Loaded } from '../../components/loaded';
import { Ago } from '../../components/time';
import { toast } from '../../components/toasts';
import { Card, FormFault, Pill } from '../../components/ui';
import css from './admin.module.css';
import { List } from './list';
import { SettingInput } from './setting-input';
import { type Draft, FIELDS, GROUPS, weigh, words } from './settings-fields';
import own from './settings.module.css';
import { useGuard } from './use-guard';

const nameOf = (name: string) => FIELDS.get(name)?.label ?? name;

/** What a running instance may change of itself. */
export function SettingsArea() {
  const settings = useResource('admin-settings', admin.settings);
  const history = usePages('admin-settings-history', (cursor, signal) =>
    admin.settingsHistory({}, cursor, signal),
  );
  function changed(found: Settings) {
    settings.put(found);
    history.reload();
    reloadInstance();
  }
  return (
    <Loaded of={settings} ghost={css.ghost}>
      {(found) => (
        <div className={own.area}>
          <SettingsForm of={found} onChanged={changed} onStale={settings.reload} />
          <Card
            id="history"
            title="History"
            about="Every change, the newest first. Undo brings back what it changed, and only that."
          >
            <List of={history} label="History of the settings" empty="Nothing was changed yet.">
              {(version) => <Version of={version} onUndone={changed} />}
            </List>
          </Card>
        </div>
      )}
    </Loaded>
  );
}

interface Fault {
  /** Null when it is about all of it. */
  field: string | null;
  text: string;
}

function SettingsForm({
  of: found,
  onChanged,
  onStale,
}: {
  of: Settings;
  onChanged: (settings: Settings) => void;
  onStale: () => void;
}) {
  const [draft, setDraft] = useState<Draft>({});
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<Fault | null>(null);
  const form = useRef<HTMLFormElement>(null);
  const { changes, faults } = weigh(draft, found.values);
  const names = [...Object.keys(changes), ...Object.keys(faults)];
  const guard = useGuard(names.length > 0);
  const faultOf = (name: string) =>
    faults[name] ?? (refused?.field === name ? refused.text : undefined);

  function discard() {
    setDraft({});
    setRefused(null);
  }

  function goTo(name: string) {
    const field = form.current?.querySelector<HTMLElement>(`[data-setting="${name}"]`);
    field?.scrollIntoView({ block: 'center' });
    field?.querySelector<HTMLElement>('input, select, textarea, button')?.focus();
  }

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const wrong = Object.keys(faults)[0];
    if (wrong !== undefined) {
      goTo(wrong);
      return;
    }
    setBusy(true);
    setRefused(null);
    try {
      onChanged(await admin.setSettings(changes, found.version));
      setDraft({});
      toast('Saved. It holds now.');
    } catch (error) {
      const field = error instanceof ApiError ? error.field : null;
      setRefused({ field, text: explain(error) });
      // What others changed is shown; one's own changes stay in their fields.
      if (error instanceof ApiError && error.code === 'settings_changed') onStale();
      if (field !== null) goTo(field);
    } finally {
      setBusy(false);
    }
  }

  return (
    <form ref={form} className={own.form} onSubmit={(event) => void submit(event)} noValidate>
      <nav className={own.contents} aria-label="Groups of settings">
        {GROUPS.map(({ id, title }) => (
          <a key={id} href={`#${id}`}>
            {title}
          </a>
        ))}
        <a href="#history">History</a>
      </nav>
      {GROUPS.map(({ id, title, about, fields }) => (
        <Card key={id} id={id} title={title} about={about} className={own.group}>
          <div className={own.fields}>
            {fields.map((field) => (
              <SettingInput
                key={field.name}
                field={field}
                of={found}
                input={draft[field.name]}
                changed={names.includes(field.name)}
                fault={faultOf(field.name)}
                onInput={(input) => setDraft((old) => ({ ...old, [field.name]: input }))}
              />
            ))}
          </div>
        </Card>
      ))}
      {refused !== null && (refused.field === null || !FIELDS.has(refused.field)) && (
        <FormFault text={refused.text} />
      )}
      {names.length > 0 && (
        <div className={own.bar} role="region" aria-label="Unsaved changes">
          <p aria-live="polite">
            <strong>
              {names.length === 1 ? 'One change' : `${names.length} changes`} not saved
            </strong>
            <span>{names.map(nameOf).join(', ')}</span>
          </p>
          <Button look="quiet" onClick={discard}>
            Discard
          </Button>
          <Button type="submit" look="primary" busy={busy}>
            Save
          </Button>
        </div>
      )}
      <LeaveDialog guard={guard} onLeave={discard} />
    </form>
  );
}

/** Whether to leave what is not saved behind. */
function LeaveDialog({
  guard,
  onLeave,
}: {
  guard: ReturnType<typeof useGuard>;
  onLeave: () => void;
}) {
  return (
    <Dialog open={guard.asked} title="Leave without saving?" onClose={guard.stay}>
      <div className={css.form}>
        <p>What you changed on this page is not saved, and would be lost.</p>
        <div className={own.choices}>
          <Button onClick={guard.stay}>Stay</Button>
          <Button
            look="danger"
            onClick={() => {
              onLeave();
              guard.leave();
            }}
          >
            Leave
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

function Version({
  of: version,
  onUndone,
}: {
  of: SettingsVersion;
  onUndone: (settings: Settings) => void;
}) {
  const [busy, setBusy] = useState(false);

  async function undo() {
    setBusy(true);
    try {
      onUndone(await admin.undoSettings(version.id));
      toast('It is as it was before that change.');
    } catch (error) {
      toast(explain(error), { danger: true });
    } finally {
      setBusy(false);
    }
  }

  return (
    <>
      <div>
        <p className={css.title}>
          <strong>{version.by?.display_name ?? 'The command line'}</strong>
          <span className={css.faint}>
            <Ago at={version.at} />
          </span>
          {version.undoes !== null && <Pill>undid change {version.undoes}</Pill>}
        </p>
        <ul className={own.changes}>
          {version.changes.map(({ name, before, after }) => (
            <li key={name}>
              {nameOf(name)}: <del>{words(name, before)}</del> → <ins>{words(name, after)}</ins>
            </li>
          ))}
        </ul>
      </div>
      <div className={css.buttons}>
        <Button small look="quiet" busy={busy} onClick={() => void undo()}>
          Undo
        </Button>
      </div>
    </>
  );
}
