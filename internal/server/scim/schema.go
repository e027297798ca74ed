package scim

// Names of schemas and messages.
const (
	schemaUser     = "urn:ietf:params:scim:schemas:core:2.0:User"
	schemaGroup    = "urn:ietf:params:scim:schemas:core:2.0:Group"
	schemaProvider = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	schemaType     = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	schemaSchema   = "urn:ietf:params:scim:schemas:core:2.0:Schema"
	messageList    = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	messagePatch   = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	messageError   = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// providerConfig tells what this service can do.
func providerConfig(base string) tree {
	no := tree{"supported": false}
	return tree{
		"schemas": []any{schemaProvider},
		"patch":   tree{"supported": true},
		"bulk":    tree{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
		"filter":  tree{"supported": true, "maxResults": maxCount},
		"sort":    no, "etag": no, "changePassword": tree{"supported": true},
		"authenticationSchemes": []any{
			tree{"type": "oauthbearertoken", "name": "API key", "description": "The API key of an administrator of the instance, as bearer token.", "primary": true},
			tree{"type": "httpbasic", "name": "API key", "description": "The API key of an administrator of the instance, as password."},
		},
		"meta": tree{"resourceType": "ServiceProviderConfig", "location": base + "/ServiceProviderConfig"},
	}
}

func resourceTypes(base string) []any {
	kind := func(name, endpoint, schema string) tree {
		return tree{
			"schemas": []any{schemaType}, "id": name, "name": name, "endpoint": endpoint, "schema": schema,
			"meta": tree{"resourceType": "ResourceType", "location": base + "/ResourceTypes/" + name},
		}
	}
	return []any{kind("User", "/Users", schemaUser), kind("Group", "/Groups", schemaGroup)}
}

// field describes an attribute.
func field(name, kind string, change tree, parts ...any) tree {
	f := tree{
		"name": name, "type": kind, "multiValued": false, "required": false, "caseExact": false, "mutability": "readWrite",
		"returned": "default", "uniqueness": "none",
	}
	for key, value := range change {
		f[key] = value
	}
	if len(parts) > 0 {
		f["subAttributes"] = parts
	}
	return f
}

func schemas(base string) []any {
	schema := func(id, name string, fields ...any) tree {
		return tree{
			"schemas": []any{schemaSchema}, "id": id, "name": name, "attributes": fields,
			"meta": tree{"resourceType": "Schema", "location": base + "/Schemas/" + id},
		}
	}
	list, fixed := tree{"multiValued": true}, tree{"mutability": "immutable"}
	return []any{
		schema(schemaUser, "User",
			field("userName", "string", tree{"required": true, "uniqueness": "server"}),
			field("displayName", "string", nil),
			field("name", "complex", nil, field("formatted", "string", nil), field("givenName", "string", nil), field("familyName", "string", nil)),
			field("emails", "complex", list, field("value", "string", nil), field("type", "string", nil), field("primary", "boolean", nil)),
			field("active", "boolean", nil),
			field("password", "string", tree{"mutability": "writeOnly", "returned": "never"})),
		schema(schemaGroup, "Group",
			field("displayName", "string", tree{"required": true, "uniqueness": "server", "mutability": "immutable"}),
			field("members", "complex", list, field("value", "string", fixed), field("display", "string", tree{"mutability": "readOnly"}))),
	}
}
