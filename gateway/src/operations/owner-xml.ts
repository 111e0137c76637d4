import { element, parent } from '../xml/writer.js'
import type { OperationContext } from './types.js'

type Viewer = Pick<OperationContext, 'principal' | 'config'>

/** The owner of an object or bucket. AWS shows the id alone; a switch, also the name of the account that asks. */
export function ownerXml(canonicalId: string, viewer: Viewer): string {
  return parent('Owner', userXml(canonicalId, viewer))
}

/** What stands in an owner, and in the grantee of an ACL. */
export function userXml(canonicalId: string, { principal, config }: Viewer): string {
  const isNamed =
    config.compatibility.displayNames &&
    principal.kind === 'account' &&
    principal.account.canonicalId === canonicalId
  return (
    element('ID', canonicalId) + element('DisplayName', isNamed ? principal.account.displayName : undefined)
  )
}
