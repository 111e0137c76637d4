/** Who may take part in a cluster of some feature level. */
import { CairnError, type ClusterMap, levelToJoin } from '@cairn/protocol'

/** `FormatTooNew` (details.level) if whoever joins supports less than the cluster has, or is about to have. */
export function requireLevel(
  map: Pick<ClusterMap, 'featureLevel' | 'featureLevelTarget'>,
  supported: number,
  who: string,
): void {
  const needed = levelToJoin(map)
  if (supported >= needed) return
  const has = needed > map.featureLevel ? 'is being raised to' : 'has'
  const message = `the cluster ${has} feature level ${needed}; ${who} supports ${supported}: install a newer version`
  throw new CairnError('FormatTooNew', message, { details: { level: String(needed) } })
}
