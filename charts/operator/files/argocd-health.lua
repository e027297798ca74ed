-- Health of a WeightsAndBiases resource for Argo CD: resource.customizations.health.apps.wandb.com_WeightsAndBiases.
local function health(status, message)
  return { status = status, message = message or "" }
end

if obj.metadata ~= nil and obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "the release is being uninstalled")
end
if obj.status == nil or obj.status.conditions == nil then
  return health("Progressing", "waiting for the operator to look at the resource")
end
if obj.metadata ~= nil and obj.metadata.generation ~= nil and obj.status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "waiting for the operator to look at the newest specification")
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end
local function holds(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end

local ready = conditions["Ready"]
if ready == nil then
  return health("Progressing", "waiting for the operator to judge the resource")
end
if ready.reason == "Suspended" then
  return health("Suspended", ready.message)
end
-- What waits for a person is no failure, and work that is held back is none either where the application serves.
local waiting = conditions["UpToDate"]
if waiting ~= nil and waiting.status ~= "False" then
  waiting = nil
end
local forPerson = waiting ~= nil and (waiting.reason == "AwaitingApproval" or waiting.reason == "AdoptionNeedsConsent")
if forPerson or (waiting ~= nil and waiting.reason == "OutsideWindow") then
  if ready.status == "True" then
    return health("Healthy", waiting.message)
  end
  if not holds("Stalled") and ready.reason == waiting.reason then
    return health("Suspended", waiting.message)
  end
end
if holds("Stalled") then
  return health("Degraded", conditions["Stalled"].message or ready.message)
end
if holds("Reconciling") then
  return health("Progressing", conditions["Reconciling"].message or ready.message)
end
if ready.status == "True" then
  return health("Healthy", ready.message)
end
if ready.status == "False" then
  return health("Degraded", ready.message)
end
return health("Progressing", ready.message)
