// Shows the API's description with Swagger UI, from our own files only.
const place = document.getElementById("operations");

SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  deepLinking: false, // The anchors of this page are the error codes.
  validatorUrl: null, // It would ask a server on the internet.
  defaultModelsExpandDepth: 0,
});
