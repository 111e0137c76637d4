/** `cairn cluster feature-level [--raise] [--json]`: what the cluster's rows may hold, and who supports it. */
import type { FeatureLevelReport, FeatureMember } from '@cairn/protocol'
import { type Config, ConfigError } from '../config.js'
import { askAdmin } from '../http/ask-admin.js'

export interface ClusterOptions {
  readonly json: boolean
  /** As far as any member supports it; refused unless all do. */
  readonly raise: boolean
}

/** Rejects with `ConfigError` for another command, and with `AdminError`. */
export async function cluster(
  config: Config,
  words: readonly string[],
  { json, raise }: ClusterOptions,
): Promise<string> {
  if (words.length !== 1 || words[0] !== 'feature-level') {
    throw new ConfigError(['cairn cluster feature-level [--raise] [--json]'])
  }
  const report = await askAdmin<FeatureLevelReport>(config, raise ? 'POST' : 'GET', 'feature-level')
  return json ? JSON.stringify(report, null, 2) : describeLevel(report)
}

/** The level, and each member with its own. */
export function describeLevel({ level, target, members }: FeatureLevelReport): string {
  const next = target === undefined ? '' : `, about to be raised to ${target}`
  return [`feature level ${level}${next}`, ...members.map(describeMember)].join('\n')
}

function describeMember({ kind, name, level }: FeatureMember): string {
  const what = { metadata: 'metadata service', chunk: 'chunk server', session: 'session' }[kind]
  return `  ${what.padEnd(16)} ${name} supports ${level}`
}
