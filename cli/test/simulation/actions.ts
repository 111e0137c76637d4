/** What users of the simulated cluster do, and how often. */
import type { Action } from './worker.js'
import { uploadObject } from './worker-uploads.js'
import type { World } from './world.js'

export const ACTIONS: readonly Action[] = [
  { name: 'put', weight: 24, act: (worker) => worker.put() },
  { name: 'create', weight: 10, act: (worker) => worker.put('absent') },
  { name: 'replace', weight: 8, act: (worker) => worker.replace() },
  { name: 'delete', weight: 14, act: (worker) => worker.delete() },
  { name: 'read', weight: 14, act: (worker) => worker.read() },
  { name: 'read range', weight: 8, act: (worker) => worker.read({ isWhole: false }) },
  { name: 'copy', weight: 12, act: (worker) => worker.copy() },
  { name: 'upload', weight: 8, act: uploadObject },
  { name: 'list', weight: 3, act: (worker) => worker.list() },
  { name: 'delete version', weight: 5, act: (worker) => worker.deleteVersion() },
]

/** An action, by weight. */
export function drawAction(world: World): Action {
  let rest = world.random.fraction() * ACTIONS.reduce((sum, { weight }) => sum + weight, 0)
  const found = ACTIONS.find(({ weight }) => {
    rest -= weight
    return rest < 0
  })
  return found ?? world.pick(ACTIONS)
}
