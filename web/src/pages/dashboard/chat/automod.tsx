import { useSettings } from '../../../chat/use-settings';
import { Tabs } from '../../../components/tabs';
import { Card } from '../../../components/ui';
import css from '../dashboard.module.css';
import { LevelSelect } from './level-select';
import type { SettingsProps } from './settings';

const CATEGORIES: readonly (readonly [string, string])[] = [
  ['aggression', 'Aggression'],
  ['bullying', 'Bullying'],
  ['disability', 'Disability'],
  ['misogyny', 'Misogyny'],
  ['race_ethnicity_or_religion', 'Race, ethnicity or religion'],
  ['sexuality_sex_or_gender', 'Sexuality, sex or gender'],
  ['sex_based_terms', 'Sex-based terms'],
  ['swearing', 'Swearing'],
];

export function AutoModCard(props: SettingsProps) {
  const { automod } = props.settings;
  const { set } = useSettings(props.settings, props.moderation, props.onChanged);
  const { categories } = automod;
  const apart = categories != null && Object.keys(categories).length > 0;
  return (
    <Card
      title="AutoMod"
      about="Holds what may hurt before anybody sees it, until a moderator allows or denies it."
    >
      <div className={css.levels}>
        <Tabs
          label="How AutoMod is set"
          tabs={[
            { value: 'overall', label: 'One level' },
            { value: 'categories', label: 'By category' },
          ]}
          value={apart ? 'categories' : 'overall'}
          onChange={(how) =>
            set('automod', {
              automod:
                how === 'overall'
                  ? { overall: 1 }
                  : {
                      categories: Object.fromEntries(
                        CATEGORIES.map(([key]) => [key, automod.overall ?? 1]),
                      ),
                    },
            })
          }
        />
        {apart ? (
          CATEGORIES.map(([key, name]) => (
            <div key={key} className={css.level}>
              <span>{name}</span>
              <LevelSelect
                label={name}
                value={categories[key] ?? 0}
                onChange={(level) =>
                  set('automod', (now) => ({
                    automod: { categories: { ...now.automod.categories, [key]: level } },
                  }))
                }
              />
            </div>
          ))
        ) : (
          <div className={css.level}>
            <span>How much is held</span>
            <LevelSelect
              label="How much is held"
              value={automod.overall ?? 0}
              onChange={(overall) => set('automod', { automod: { overall } })}
            />
          </div>
        )}
      </div>
    </Card>
  );
}
