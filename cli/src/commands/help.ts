/** `cairn help`: commands and settings. */
import { flagOf, SETTINGS } from '../settings.js'

const COMMANDS: readonly (readonly [string, string])[] = [
  ['start [--role all|metadata|chunk|gateway]', 'runs the server in the foreground'],
  ['env', 'prints the AWS_… exports for this server'],
  ['wait --healthy [--timeout SECONDS]', 'waits until a write and a read would work'],
  ['health', 'exits 0 if a write and a read would work now'],
  ['status [--json]', 'shows drives, repair and garbage of a running server'],
  [
    'fsck [--deep] [--json] [--repair-wait] [--accept]',
    'checks metadata against blocks, both ways; exits 5 if something is wrong',
  ],
  ['node list | add|drain|undrain|remove NODE', 'shows chunk servers; uses one now, empties or forgets it'],
  ['drive list | add|drain|undrain|remove DRIVE', 'the same for one drive; of a spare, add uses it'],
  ['node|drive replace NAME BY', 'empties a drive, or those of a node, and uses unused ones in their places'],
  ['rebalance', 'spreads all groups evenly, over spares too'],
  [
    '  … [--wait] [--timeout SECONDS] [--force] [--json]',
    'waits until nothing moves; lets copies share a domain',
  ],
  ['cluster feature-level [--raise] [--json]', 'after an upgrade of all members: lets them use what is new'],
  ['metadata recover', 'makes the metadata of a stopped server anew from the copies on its drives'],
  [
    'metadata backup FILE',
    'writes all metadata into one file, while the server runs or not; of etcd with CAIRN_ETCD',
  ],
  [
    'metadata restore FILE [--yes]',
    'puts a stopped server back to a backup; --yes if it has metadata; with CAIRN_ETCD into an empty prefix',
  ],
  [
    'metadata migrate [--to-etcd] [--resume] [--json]',
    'moves the metadata of a stopped server to CAIRN_ETCD; --resume goes on after a crash',
  ],
  ['metadata migrate --undo', 'takes it back, as long as no service has used it there'],
  ['metadata compact', 'gives space in etcd back: drops history, defragments member after member'],
  ['reset --yes', 'removes all data of a stopped server'],
  ['help', 'this text'],
]

export function help(): string {
  const commands = COMMANDS.map(([form, meaning]) => `  cairn ${form.padEnd(44)} ${meaning}`)
  const settings = Object.values(SETTINGS).map(
    ({ variable, describe, fallbackText }) =>
      `  --${flagOf(variable).padEnd(24)} ${variable.padEnd(28)} ${describe} (${fallbackText})`,
  )
  return [
    'Commands',
    ...commands,
    '',
    'Settings: flags win over variables, these over --config FILE (YAML)',
    ...settings,
  ].join('\n')
}
